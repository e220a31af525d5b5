// The page: hands in an answer, gets the next request for it, and does that with onnxruntime-web. Frames are those of
// edgefair/probe/wire.py; texts, which frames do not carry, travel in the header.

const TYPES = {
  bool: Uint8Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array,
  uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array, float16: globalThis.Float16Array ?? Uint16Array,
  float32: Float32Array, float64: Float64Array,
};
const HEAD_BYTES = 16;
const MAGIC = [0x45, 0x46, 0x50, 0x31];

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);
const failure = (kind, message) => Object.assign(new Error(message), { kind });

function decode(buffer) {
  const headerBytes = new DataView(buffer).getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, HEAD_BYTES, headerBytes)));
  let start = HEAD_BYTES + headerBytes;
  const arrays = header.arrays.map(({ name, dtype, shape }) => {
    const end = start + sizeOf(shape) * TYPES[dtype].BYTES_PER_ELEMENT;
    // Sliced, because a view must begin at a multiple of the size of its elements.
    const data = new TYPES[dtype](buffer.slice(start, end));
    start = end;
    return { name, dtype, shape, data };
  });
  return { header, arrays };
}

// An array's `parts` are typed arrays that follow each other.
function encode(header, arrays = []) {
  const described = arrays.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  const text = new TextEncoder().encode(JSON.stringify({ ...header, arrays: described }));
  const parts = arrays.flatMap((array) => array.parts);
  const head = new DataView(new ArrayBuffer(HEAD_BYTES));
  MAGIC.forEach((byte, at) => head.setUint8(at, byte));
  head.setUint32(4, text.length, true);
  head.setBigUint64(8, BigInt(parts.reduce((sum, part) => sum + part.byteLength, 0)), true);
  return new Blob([head.buffer, text, ...parts]);
}

let ort;
const sessions = new Map();
let pool = [];

async function start({ module, threads, provider }) {
  if (provider === "webgpu" && !(await navigator.gpu?.requestAdapter())) {
    throw failure("no_adapter", "the browser has no WebGPU adapter here");
  }
  ort = await import(module);
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = new URL(".", new URL(module, location.href)).href;
  return [{ isolated: crossOriginIsolated }];
}

// The digest is of the very bytes that the session is made of.
async function load({ session, release, provider, optimization, entries }, [model]) {
  for (const gone of release) {
    await sessions.get(gone)?.release();
    sessions.delete(gone);
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", model.data));
  const made = await ort.InferenceSession.create(model.data, {
    executionProviders: [provider], graphOptimizationLevel: optimization, extra: entries, logSeverityLevel: 3,
  });
  sessions.set(session, made);
  return [{
    sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    inputs: made.inputMetadata, outputs: made.outputMetadata,
    adapter: provider === "webgpu" ? adapterOf(await ort.env.webgpu.device) : null,
  }];
}

function adapterOf({ adapterInfo: info }) {
  const { vendor, architecture, device, description, driver, isFallbackAdapter } = info;
  return { vendor, architecture, device, description, driver: driver ?? "", software: Boolean(isFallbackAdapter) };
}

// The inputs of all rows together, or of each row as a batch of its own.
function feedsOf(arrays, texts, alone) {
  const columns = [...arrays, ...texts.map(({ name, shape, values }) => ({ name, shape, dtype: "string", data: values }))];
  const feed = (cut) => Object.fromEntries(columns.map((column) => [column.name, cut(column)]));
  if (!alone) return [feed(({ dtype, data, shape }) => new ort.Tensor(dtype, data, shape))];
  return Array.from({ length: columns[0].shape[0] }, (_, row) => feed(({ dtype, data, shape: [, ...rest] }) => {
    const [from, to] = [row * sizeOf(rest), (row + 1) * sizeOf(rest)];
    return new ort.Tensor(dtype, data.subarray?.(from, to) ?? data.slice(from, to), [1, ...rest]);
  }));
}

async function run({ session, outputs, texts, alone }, arrays) {
  const found = outputs.map((name) => ({ name, dtype: null, shape: null, parts: [] }));
  for (const feeds of feedsOf(arrays, texts, alone)) {
    const results = await sessions.get(session).run(feeds, outputs);
    for (const output of found) {
      const { type, dims, data } = results[output.name];
      if (!(type in TYPES)) throw failure("bad_output", `output '${output.name}' is not an array of numbers`);
      if (alone && dims[0] !== 1) throw failure("bad_output", `output '${output.name}' has shape [${dims}] for one row`);
      if (output.parts.length && String(dims) !== String(output.shape)) {
        throw failure("bad_output", `output '${output.name}' has shape [${dims}] for one row and [${output.shape}] for another`);
      }
      Object.assign(output, { dtype: type, shape: dims });
      output.parts.push(data);
    }
  }
  for (const output of alone ? found : []) output.shape = [output.parts.length, ...output.shape.slice(1)];
  return [{}, found];
}

// The rows that queries are timed with, each ready to be asked.
async function fill({ texts }, arrays) {
  pool = feedsOf(arrays, texts, true);
  return [{}];
}

// One query after the other, each session, outputs and row of the pool; the clock is around the call alone.
async function time({ queries }) {
  const milliseconds = [];
  for (const [session, outputs, row] of queries) {
    const asked = sessions.get(session);
    const begin = performance.now();
    await asked.run(pool[row], outputs);
    milliseconds.push(performance.now() - begin);
  }
  return [{ milliseconds }];
}

const DOES = { start, load, run, fill, time };

async function answerTo({ header, arrays }) {
  try {
    const [said, results] = await DOES[header.do](header, arrays);
    return encode({ ok: true, ...said }, results);
  } catch (error) {
    return encode({ ok: false, kind: error.kind ?? null, message: String(error.message ?? error) });
  }
}

let answer = new Blob();
for (;;) {
  const response = await fetch("turn", { method: "POST", body: answer });
  if (!response.ok) break;
  answer = await answerTo(decode(await response.arrayBuffer()));
}
