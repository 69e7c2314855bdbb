"""Training: one loop for super-resolution, U-Net and ResNet; its schedule, state, validation and curves."""
