"""One file per subcommand: ``HELP``, ``add_options(parser)`` and ``run(args)``.

Heavy libraries are imported in ``run``, so that --help is quick.
"""
