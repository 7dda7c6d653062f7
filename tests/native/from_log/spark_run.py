"""Runs examples/spark/job.py's pipe on Spark's local-cluster mode: two workers, own processes.

    spark_run.py POINTSMAN MODEL LOG_DIRECTORY OUT
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../examples/spark"))

from job import pipe
from pyspark.sql import SparkSession

pointsman, model, logs, out = sys.argv[1:]
spark = (
    SparkSession.builder.master("local-cluster[2,1,512]")
    .config("spark.executor.memory", "512m")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
label = [pointsman, "label", "--no-replay"]
pipe(spark, logs, f"{out}/labelled", label)
pipe(spark, f"{out}/labelled", f"{out}/scored", [pointsman, "evaluate", "--rows", "--model", model])
pipe(spark, logs, f"{out}/features", [pointsman, "features"])

# The same log as columns: nested values as JSON text. One partition a file, and none of its own.
rows = [json.loads(line) for line in spark.sparkContext.textFile(logs).collect()]
columns = [
    [row["id"], row["source"], row["cheap_response"]]
    + [json.dumps(row["request"]), json.dumps(row["response"])]
    for row in rows
]
names = ["id", "source", "cheap_response", "request", "response"]
spark.createDataFrame(columns, names).coalesce(2).write.parquet(f"{out}/parquet")
pipe(spark, f"{out}/parquet", f"{out}/from_parquet", label, "parquet")
spark.stop()
