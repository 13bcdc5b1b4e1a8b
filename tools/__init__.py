"""What maintainers run: records, their pages and pictures, notebooks, the drawing of the rooms. Not shipped."""
