"""The subcommands of emotion-bench, one file each: HELP, ``add_options(parser)`` and ``run(args)``."""
