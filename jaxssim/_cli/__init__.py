"""The command `jaxssim`, behind the extra `cli`. Nothing here is public but what the command does.

program      the subcommands, and the exit status
compare      `jaxssim compare`, from the modules below it
"""
