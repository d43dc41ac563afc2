/**
 * The peer: Python with onnxruntime and Pillow, as one would write it for throughput. One process per thread of ours, one
 * picture and one intra-op thread each, pictures in memory, sessions warm. Reads one line per round, answers one JSON line.
 */
export const PEER_PROGRAM = `
import io, json, multiprocessing, sys, time
import numpy as np, onnxruntime as ort
from PIL import Image

job = json.loads(sys.stdin.readline())
p = job["preprocessing"]
pictures = [open(path, "rb").read() for path in job["images"]]
mean, std = np.float32(p["mean"]), np.float32(p["std"])

def start():
    global session
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])

def embed(index):
    image = Image.open(io.BytesIO(pictures[index])).convert("RGB")
    width, height = image.size
    scale = p["resizeShorterSide"] / min(width, height)
    width, height = round(width * scale), round(height * scale)
    image = image.resize((width, height), Image.BICUBIC)
    left, top = (width - p["size"]) // 2, (height - p["size"]) // 2
    image = image.crop((left, top, left + p["size"], top + p["size"]))
    tensor = ((np.asarray(image, np.float32) - mean) / std).transpose(2, 0, 1)[None]
    return session.run(None, {"image": np.ascontiguousarray(tensor)})[0][0]

with multiprocessing.get_context("fork").Pool(job["processes"], start) as pool:
    vectors = pool.map(embed, range(min(len(pictures), 32)), 4)
    versions = {"python": sys.version.split()[0], "onnxruntime": ort.__version__, "pillow": Image.__version__}
    print(json.dumps({"ready": versions, "vectors": [v.tolist() for v in vectors]}), flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        pool.map(embed, range(len(pictures)), 4)
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
`;
