"""Feature extractors: SwinIR, EDSR, RDN without their upsamplers."""
