"""How good is an image: PSNR, SSIM and paired statistics."""
