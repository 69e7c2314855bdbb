"""Encoders: EDSR, RDN and SwinIR without their upsamplers."""
