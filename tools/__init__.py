"""What maintainers run: records of results, pictures of the pages, the drawing of the rooms. Not shipped."""
