"""The command line, run as a user does: arguments in; output, exit codes and files out."""
