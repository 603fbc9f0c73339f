// One query's attention as an ONNX model of three nodes, keys and values inside: MatMul, Softmax, MatMul. Protobuf by hand.

const varint = (n) => {
  const bytes = [];
  for (let rest = n; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest < 128 ? rest : (rest % 128) + 128);
    if (rest < 128) return Buffer.from(bytes);
  }
};
const integer = (field, n) => Buffer.concat([varint(field * 8), varint(n)]);
const bytes = (field, content) => {
  const data = typeof content === "string" ? Buffer.from(content) : content;
  return Buffer.concat([varint(field * 8 + 2), varint(data.length), data]);
};
const message = (field, ...fields) => bytes(field, Buffer.concat(fields));

const FLOAT = 1;
const tensor = (name, dims, values) =>
  message(
    5,
    ...dims.map((n) => integer(1, n)),
    integer(2, FLOAT),
    bytes(8, name),
    bytes(9, Buffer.from(values.buffer, values.byteOffset, values.byteLength)),
  );
const node = (type, inputs, output) =>
  message(1, ...inputs.map((name) => bytes(1, name)), bytes(2, output), bytes(4, type));
const value = (field, name, dims) =>
  message(
    field,
    bytes(1, name),
    message(2, message(1, integer(1, FLOAT), message(2, ...dims.map((n) => message(1, integer(1, n)))))),
  );

/** keys, values: (tokens, dim). Input "q": (1, dim), already scaled; output "out": (1, dim). */
export function onnxAttention(keys, values, dim) {
  const tokens = keys.length / dim;
  const turned = new Float32Array(keys.length);
  for (let t = 0; t < tokens; t++) for (let i = 0; i < dim; i++) turned[i * tokens + t] = keys[t * dim + i];
  const graph = message(
    7,
    node("MatMul", ["q", "keys"], "scores"),
    node("Softmax", ["scores"], "weights"), // over the last axis, since opset 13
    node("MatMul", ["weights", "values"], "out"),
    bytes(2, "attention"),
    tensor("keys", [dim, tokens], turned),
    tensor("values", [tokens, dim], values),
    value(11, "q", [1, dim]),
    value(12, "out", [1, dim]),
  );
  return Buffer.concat([integer(1, 8), graph, message(8, integer(2, 13))]);
}
