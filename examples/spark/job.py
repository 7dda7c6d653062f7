#!/usr/bin/env python3
"""Runs a line filter of pointsman over a partitioned data set, on any Spark cluster.

    spark-submit examples/spark/job.py --input rows/ --output labelled/ -- label --no-replay
    spark-submit examples/spark/job.py --input rows/ --output scored/ -- evaluate --rows

The input is a directory of JSONL (also gzip) or Parquet files; the output is a directory of JSONL
with a part for each partition, its lines in the partition's order. Every executor pipes its partitions
through the `pointsman` binary, so the rows are, byte for byte, those of a local run. Rows need an `id` of their
own: without one, they are named after their place in a partition.

Parquet columns are handed over as JSON fields; columns that hold JSON, such as `request`, may be
text.
"""

import argparse
import os
import shlex
import sys

from pyspark.sql import SparkSession


def pipe(spark, source, target, command, form="jsonl"):
    """Sends every line of `source` through a command, and writes what comes out to `target`."""
    if form == "parquet":
        lines = spark.read.parquet(source).toJSON()
    else:
        lines = spark.sparkContext.textFile(source)
    # checkCode: a filter that fails fails the task, and a partition is never half there.
    piped = lines.pipe(shlex.join(command), env=dict(os.environ), checkCode=True)
    piped.saveAsTextFile(target)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", required=True, help="directory or file")
    parser.add_argument("--output", required=True, help="directory, which must not exist yet")
    parser.add_argument("--format", choices=["jsonl", "parquet"], default="jsonl")
    parser.add_argument("--pointsman", default="pointsman", help="the binary, on every executor")
    parser.add_argument("filter", nargs="+", metavar="-- FILTER", help="subcommand and its options")
    arguments = parser.parse_args()
    command = [arguments.pointsman, *arguments.filter]
    spark = SparkSession.builder.appName("pointsman").getOrCreate()
    try:
        pipe(spark, arguments.input, arguments.output, command, arguments.format)
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
