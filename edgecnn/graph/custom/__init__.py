"""A model file of the user's own, in whichever form: read, checked and made the trunk that every candidate comes from."""
