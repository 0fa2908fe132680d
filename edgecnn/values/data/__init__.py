"""Values about images: which there are, how they are fed, changed and composed."""
