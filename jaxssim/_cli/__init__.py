"""The command `jaxssim`, behind the extra `cli`. Nothing here is public but what the command does.

Each module imports only modules below it in its part of this list:

    program        the subcommands, and how they end
    options        the options of each subcommand

    compare        `jaxssim compare`
    shares         the pairs that several processes share
    pages          the way to the report, `jaxssim._report`
    maps, json_file, junit, csv_file   results as files
    tables         results on the terminal
    summary, limits   what follows from the values of all pairs
    scoring        a stream of pairs, scored
    loading        the pictures of a pair, made comparable
    pairing        which files are a pair
    metrics        what computes each metric
    results        what is known of a metric and of a scored pair

    video          `jaxssim video`
    curves, frame_scores, frames   curves, scores and planes of its frames

    cluster        `jaxssim cluster`, from `clusters`
    conventions    `jaxssim conventions`

    stopping, progress, jobs, console   for several commands, and for the examples
"""
