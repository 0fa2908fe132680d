"""Side questions: feature pictures, ensembles, ten crops, cost, scale, load, a preview of augmentation."""
