"""``histoscale glands``: gland segmentation on super-resolved images (Table 5, Fig. 11)."""
