"""From stored logits to figures: accuracy paired by image, each class, and quality beyond top-1."""
