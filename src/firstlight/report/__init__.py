"""What people look at: tables in the terminal, tables and figures as files, and the pages that hold them."""
