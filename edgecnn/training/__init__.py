"""Fine-tuning and training from scratch: phases, augmentation, distillation, checkpoints, several processes."""
