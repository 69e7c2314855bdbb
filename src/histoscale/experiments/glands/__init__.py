"""``histoscale glands``: does gland segmentation gain from super-resolution (Table 5, Fig. 11)."""
