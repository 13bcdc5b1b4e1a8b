"""What several experiments share: plans of runs, fits, tables, notes and drawings; no experiment imports another."""
