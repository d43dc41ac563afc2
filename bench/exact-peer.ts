/**
 * The peer: faiss Flat on the same vectors and thread count. Reads the job, then one line per measurement (`batch` or
 * `single`), and answers one JSON line each.
 */
export const PEER_PROGRAM = `
import json, sys, time
import faiss, numpy as np

job = json.loads(sys.stdin.readline())
faiss.omp_set_num_threads(job["threads"])
dim, k = job["dim"], job["k"]
rows = np.fromfile(job["rows"], np.float32).reshape(-1, dim)
queries = np.fromfile(job["queries"], np.float32).reshape(-1, dim)
index = faiss.IndexFlatL2(dim) if job["metric"] == "l2" else faiss.IndexFlatIP(dim)
index.add(rows)
found = index.search(queries, k)[1]
print(json.dumps({"found": found[:100].tolist(), "version": faiss.__version__}), flush=True)
for line in sys.stdin:
    cpu = time.process_time()
    started = time.perf_counter()
    if line.strip() == "batch":
        index.search(queries, k)
        seconds = time.perf_counter() - started
    else:
        times = []
        for i in range(job["singles"]):
            started = time.perf_counter()
            index.search(queries[i : i + 1], k)
            times.append(time.perf_counter() - started)
        seconds = min(times)
    print(json.dumps({"seconds": seconds, "cpu": time.process_time() - cpu}), flush=True)
`;
