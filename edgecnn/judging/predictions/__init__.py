"""From stored logits to figures: accuracy paired image by image, every class by itself, quality beyond top-1."""
