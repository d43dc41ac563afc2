/** The peer: faiss. One JSON line in, one out; vectors travel in files of f32. */
export const PEER_PROGRAM = `
import json, sys, time
import numpy as np, faiss

job = json.loads(sys.stdin.readline())
faiss.omp_set_num_threads(job["threads"])
dim = job["dim"]
metric = faiss.METRIC_L2 if job["metric"] == "l2" else faiss.METRIC_INNER_PRODUCT
rows = np.fromfile(job["rows"], np.float32).reshape(-1, dim)
queries = np.fromfile(job["queries"], np.float32).reshape(-1, dim)
flat = faiss.IndexFlat(dim, metric)
flat.add(rows)
truth = flat.search(queries[: job["numTruth"]], 10)[1]
truth.astype(np.int32).tofile(job["truth"])
print(json.dumps({"faiss": faiss.__version__, "options": faiss.get_compile_options(), "numpy": np.__version__}), flush=True)
built = {}
for line in sys.stdin:
    ask = json.loads(line)
    if ask["do"] == "build":
        started = time.perf_counter()
        index = faiss.index_factory(dim, ask["factory"], metric)
        index.train(rows)
        index.add(rows)
        built[ask["name"]] = index
        answer = {"seconds": time.perf_counter() - started}
    elif ask["do"] == "search":
        index = built[ask["name"]]
        params = faiss.SearchParametersIVF(nprobe=ask["nprobe"])
        if isinstance(index, faiss.IndexRefineFlat):
            params = faiss.IndexRefineSearchParameters(k_factor=ask["rescore"], base_index_params=params)
        some = queries[: ask["count"]]
        started = time.perf_counter()
        found = index.search(some, 10, params=params)[1]
        seconds = time.perf_counter() - started
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth))
        answer = {"seconds": seconds, "recall": hits / (10 * min(len(found), len(truth)))}
    print(json.dumps(answer), flush=True)
`;
