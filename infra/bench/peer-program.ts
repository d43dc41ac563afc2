/**
 * The peers: faiss and hnswlib as one would call them from Python. Reads one JSON line per request, answers one JSON line.
 * `single`: one thread, one query a call. `batch`: all threads, the queries in one call.
 */
export const PEER_PROGRAM = `
import json, os, sys, time

replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

def reply(value):
    replies.write(json.dumps(value) + "\\n")
    replies.flush()

libraries, versions = {}, {"python": sys.version.split()[0]}
for name in ("numpy", "faiss", "hnswlib"):
    try:
        libraries[name] = __import__(name)
        try:
            from importlib.metadata import version
            versions[name] = version({"faiss": "faiss-cpu"}.get(name, name))
        except Exception:
            versions[name] = getattr(libraries[name], "__version__", "unknown")
    except Exception as error:
        versions[name] = None
np, faiss, hnswlib = (libraries.get(name) for name in ("numpy", "faiss", "hnswlib"))
if faiss is not None and hasattr(faiss, "get_compile_options"):
    versions["faissOptions"] = faiss.get_compile_options().strip()
reply({"versions": versions})

state, built = {}, {}

def limit_threads(count):
    if faiss is not None:
        faiss.omp_set_num_threads(count)

class Faiss:
    def __init__(self, request):
        metric = faiss.METRIC_L2 if state["metric"] == "l2" else faiss.METRIC_INNER_PRODUCT
        if request["factory"].startswith("LSH"):
            index = faiss.IndexLSH(state["dim"], int(request["factory"][3:]))
        else:
            index = faiss.index_factory(state["dim"], request["factory"], metric)
        if "efConstruction" in request:
            index.hnsw.efConstruction = request["efConstruction"]
        index.train(state["rows"])
        index.add(state["rows"])
        self.index = index
    def bytes(self):
        return int(faiss.serialize_index(self.index).nbytes)
    def effort(self, effort):
        if effort:
            faiss.ParameterSpace().set_index_parameters(self.index, ",".join(f"{k}={v}" for k, v in effort.items()))
    def search(self, queries, threads):
        return self.index.search(queries, state["k"])[1]
    queries = property(lambda self: state["queries"])

class FaissBinary:
    """Signs of random projections; queries are coded beforehand, so that the scan alone is timed."""
    def __init__(self, request):
        draw = np.random.default_rng(request["seed"]).standard_normal((state["dim"], request["bits"]), dtype=np.float32)
        code = lambda vectors: np.packbits(vectors @ draw > 0, axis=1)
        self.index = faiss.IndexBinaryFlat(request["bits"])
        self.index.add(code(state["rows"]))
        self.queries = code(state["queries"])
    def bytes(self):
        return int(self.index.ntotal * self.index.d // 8)
    def effort(self, effort):
        pass
    def search(self, queries, threads):
        return self.index.search(queries, state["k"])[1]

class Hnswlib:
    def __init__(self, request):
        self.index = hnswlib.Index(space="l2" if state["metric"] == "l2" else "ip", dim=state["dim"])
        self.index.init_index(len(state["rows"]), M=request["m"], ef_construction=request["efConstruction"], random_seed=request["seed"])
        self.index.add_items(state["rows"], num_threads=state["threads"])
    def bytes(self):
        return int(self.index.index_file_size())
    def effort(self, effort):
        self.index.set_ef(effort["efSearch"])
    def search(self, queries, threads):
        return self.index.knn_query(queries, k=state["k"], num_threads=threads)[0]
    queries = property(lambda self: state["queries"])

KINDS = {"faiss": Faiss, "faissBinary": FaissBinary, "hnswlib": Hnswlib}

def open_data(request):
    state.update(request)
    for name, size in (("rows", request["numRows"]), ("queries", request["numQueries"])):
        state[name] = np.fromfile(request[name], np.float32).reshape(size, request["dim"])
    return {}

def build(request):
    limit_threads(state["threads"])
    started = time.perf_counter()
    one = KINDS[request["library"]](request)
    seconds = time.perf_counter() - started
    built[request["id"]] = one
    return {"seconds": seconds, "bytes": one.bytes()}

def answer(request):
    one = built[request["id"]]
    one.effort(request["effort"])
    limit_threads(state["threads"])
    return {"rows": np.asarray(one.search(one.queries, state["threads"])).astype(int).ravel().tolist()}

def measure(request):
    one = built[request["id"]]
    one.effort(request["effort"])
    single = request["how"] == "single"
    threads = 1 if single else state["threads"]
    limit_threads(threads)
    total = len(one.queries)
    count = 1 if single else min(total, request["batch"])
    done, started = 0, time.perf_counter()
    while True:
        at = done % total if single else 0
        one.search(one.queries[at : at + count], threads)
        done += count
        seconds = time.perf_counter() - started
        if seconds >= request["seconds"]:
            return {"queries": done, "seconds": seconds}

def drop(request):
    built.pop(request["id"], None)
    return {}

OPS = {"open": open_data, "build": build, "answer": answer, "time": measure, "drop": drop}
for line in sys.stdin:
    request = json.loads(line)
    try:
        reply(OPS[request.pop("op")](request))
    except Exception as error:
        reply({"error": f"{type(error).__name__}: {error}"})
`;
