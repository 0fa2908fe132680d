"""What people read: terminal, Markdown, HTML pages, JUnit. Facts go in, text comes out; nothing is measured or judged here."""
