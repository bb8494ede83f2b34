"""What the pages and the command line both do with a workspace: draw, choose, rate, relabel, export, report. One file a subject."""
