"""Whole builds of what people bring: other tools' files, lines of text, several labels an image, few photographs."""
