/** The peer: hnswlib from Python. Reads one JSON line per task, answers one each. */
export const PEER_PROGRAM = `
import json, sys, time
import hnswlib, numpy as np

job = json.loads(sys.stdin.readline())
rows = np.fromfile(job["rows"], np.float32).reshape(-1, job["dim"])
queries = np.fromfile(job["queries"], np.float32).reshape(-1, job["dim"])
truth = np.fromfile(job["truth"], np.int32).reshape(len(queries), -1)
space = {"cosine": "cosine", "innerProduct": "ip", "l2": "l2"}[job["metric"]]
index = None

def answer(value):
    print(json.dumps(value), flush=True)

answer({"python": sys.version.split()[0], "hnswlib": getattr(hnswlib, "__version__", "?"), "numpy": np.__version__})
for line in sys.stdin:
    task = json.loads(line)
    if task["do"] == "build":
        started, busy = time.perf_counter(), time.process_time()
        index = hnswlib.Index(space=space, dim=job["dim"])
        index.init_index(max_elements=len(rows), M=job["m"], ef_construction=job["efConstruction"], random_seed=job["seed"])
        index.add_items(rows, num_threads=task["threads"])
        answer({"seconds": time.perf_counter() - started, "cpu": time.process_time() - busy})
    else:
        index.set_ef(task["ef"])
        started, busy = time.perf_counter(), time.process_time()
        labels, _ = index.knn_query(queries, k=truth.shape[1], num_threads=task["threads"])
        seconds, cpu = time.perf_counter() - started, time.process_time() - busy
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(labels, truth))
        answer({"seconds": seconds, "cpu": cpu, "recall": hits / truth.size})
`;
