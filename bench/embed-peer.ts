import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Preprocessing } from '../contracts/model.ts';

/**
 * The peer: Python with onnxruntime and Pillow, as one would write it for throughput. One process per thread of ours, one
 * picture and one intra-op thread each, pictures in memory, sessions warm. Reads one line per round, answers one JSON line
 * with the seconds on the clock and those of processors, by stage.
 */
const PEER_PROGRAM = `
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

def preprocess(picture):
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    width, height = image.size
    scale = p["resizeShorterSide"] / min(width, height)
    width, height = round(width * scale), round(height * scale)
    image = image.resize((width, height), Image.BICUBIC)
    left, top = (width - p["size"]) // 2, (height - p["size"]) // 2
    image = image.crop((left, top, left + p["size"], top + p["size"]))
    return np.ascontiguousarray(((np.asarray(image, np.float32) - mean) / std).transpose(2, 0, 1)[None])

def embed(index):
    cpu = [time.process_time()]
    tensor = preprocess(pictures[index])
    cpu.append(time.process_time())
    vector = session.run(None, {"image": tensor})[0][0]
    return vector, cpu[1] - cpu[0], time.process_time() - cpu[1]

with multiprocessing.get_context("fork").Pool(job["processes"], start) as pool:
    vectors = [v for v, *_ in pool.map(embed, range(min(len(pictures), 32)), 4)]
    versions = {"python": sys.version.split()[0], "onnxruntime": ort.__version__, "pillow": Image.__version__}
    print(json.dumps({"ready": versions, "vectors": [v.tolist() for v in vectors]}), flush=True)
    for line in sys.stdin:
        started, cpu = time.perf_counter(), time.process_time()
        done = pool.map(embed, range(len(pictures)), 4)
        seconds, rest = time.perf_counter() - started, time.process_time() - cpu
        preprocessing, inference = (sum(d[i] for d in done) for i in (1, 2))
        print(json.dumps({"seconds": seconds, "cpu": {"preprocess": preprocessing, "infer": inference, "rest": rest}}), flush=True)
`;

/** One pass over all pictures: seconds on the clock and of processors, all threads or processes together. */
export interface Round {
  seconds: number;
  cpu: { preprocess: number; infer: number; rest: number };
}

export interface Peer {
  /** Of the first 32 pictures. */
  vectors: number[][];
  versions: Record<string, string>;
  round(): Promise<Round>;
  end(): void;
}

/** Ready when it has embedded the first pictures. `images` are paths, read once. */
export async function startPeer(
  python: string,
  job: { model: string; preprocessing: Preprocessing; images: string[]; processes: number },
): Promise<Peer> {
  const child = spawn(python, ['-c', PEER_PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await lines.next();
    if (line.done === true) throw new Error('The peer ended; install onnxruntime, pillow and numpy for --python.');
    return JSON.parse(line.value);
  };
  child.stdin.write(`${JSON.stringify(job)}\n`);
  const { ready, vectors } = (await next()) as { ready: Record<string, string>; vectors: number[][] };
  return {
    vectors,
    versions: ready,
    async round() {
      child.stdin.write('go\n');
      return (await next()) as Round;
    },
    end: () => child.stdin.end(),
  };
}
