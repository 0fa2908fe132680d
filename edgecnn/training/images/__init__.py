"""What training shows: images decoded once, changed at random and put into batches; and those on which it is judged."""
