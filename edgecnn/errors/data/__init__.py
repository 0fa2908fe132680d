"""Failures of images: folders, lists, published sets, groups, several labels, composed pictures."""
