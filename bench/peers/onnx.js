/* onnx.js - the two towers of a CLIP checkpoint as ONNX models.
 *
 * Writes the few messages of onnx.proto3 that they need by hand, so that nothing but Node
 * is required. The graphs are what exporters make of CLIP, with q, k and v as one product,
 * which is kind to the peer. int8 is ONNX Runtime's dynamic quantisation at its fastest:
 * DynamicQuantizeMatMul, signed weights with a scale for each column. */
'use strict';

/* ---- protobuf ---- */

const FLOAT = 1, INT8 = 3, INT64 = 7;

function varint(value) {
    const bytes = [];
    for (let rest = BigInt.asUintN(64, BigInt(value));;) {
        const low = Number(rest & 0x7fn);
        rest >>= 7n;
        bytes.push(rest ? low | 0x80 : low);
        if (!rest) return Buffer.from(bytes);
    }
}

/* A field: a number, or bytes, a string or a list of parts with their length before. */
function field(number, value) {
    if (typeof value === 'number' || typeof value === 'bigint')
        return [varint(number << 3), varint(value)];
    const parts = (Array.isArray(value) ? value : [value]).flat(Infinity)
        .map((part) => typeof part === 'string' ? Buffer.from(part) : part);
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    return [varint(number << 3 | 2), varint(size), ...parts];
}

function attribute(name, value) {
    if (typeof value === 'object') /* a list of whole numbers */
        return field(5, [field(1, name), value.map((v) => field(8, v)), field(20, 7)]);
    if (Number.isInteger(value)) return field(5, [field(1, name), field(3, value), field(20, 2)]);
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return field(5, [field(1, name), varint(2 << 3 | 5), bytes, field(20, 1)]);
}

function valueInfo(number, name, type, dims) {
    const shape = dims.map((d) => field(1, typeof d === 'string' ? field(2, d) : field(1, d)));
    return field(number, [field(1, name), field(2, field(1, [field(1, type), field(2, shape)]))]);
}

/* ---- graphs ---- */

class Graph {
    constructor() {
        this.nodes = [];
        this.initializers = [];
        this.count = 0;
    }

    op(type, inputs, attributes = {}, domain = '', outputs = 1) {
        const names = Array.from({length: outputs}, () => `t${this.count++}`);
        this.nodes.push(field(1, [
            inputs.map((name) => field(1, name)), names.map((name) => field(2, name)),
            field(4, type), Object.entries(attributes).map(([k, v]) => attribute(k, v)),
            field(7, domain)]));
        return outputs === 1 ? names[0] : names;
    }

    constant(dims, data) {
        const name = `c${this.count++}`;
        const type = data instanceof Float32Array ? FLOAT : data instanceof Int8Array ? INT8 : INT64;
        const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
        this.initializers.push(field(5, [dims.map((d) => field(1, d)), field(2, type),
                                         field(8, name), field(9, raw)]));
        return name;
    }

    shape(...dims) {
        return this.constant([dims.length], BigInt64Array.from(dims.map(BigInt)));
    }

    scalar(value) {
        return this.constant([], Float32Array.of(value));
    }

    model(input, output) {
        this.nodes.push(field(1, [field(1, output.from), field(2, 'embeddings'), field(4, 'Identity')]));
        const graph = [this.nodes, field(2, 'clip'), this.initializers,
                       valueInfo(11, input.name, input.type, input.dims),
                       valueInfo(12, 'embeddings', FLOAT, ['batch', output.dim])];
        const opset = (domain, version) => field(8, [field(1, domain), field(2, version)]);
        return Buffer.concat([field(1, 8), field(7, graph), opset('', 17), opset('com.microsoft', 1)]
            .flat(Infinity));
    }
}

/* [n, k] as [k, n]. */
function transpose(data, n, k) {
    const out = new Float32Array(n * k);
    for (let i = 0; i < n; i++) for (let j = 0; j < k; j++) out[j * n + i] = data[i * k + j];
    return out;
}

/* Weights [k, n] to signed bytes with a scale for each column. */
function quantize(weights, k, n) {
    const scales = new Float32Array(n), bytes = new Int8Array(k * n);
    for (let i = 0; i < k * n; i++) scales[i % n] = Math.max(scales[i % n], Math.abs(weights[i]));
    /* 7 bits, as ONNX Runtime's documentation advises for CPUs without VNNI, where sums of two
     * products saturate; it costs no time. */
    for (let j = 0; j < n; j++) scales[j] = scales[j] / 63 || 1;
    for (let i = 0; i < k * n; i++) bytes[i] = Math.round(weights[i] / scales[i % n]);
    return {bytes, scales};
}

/* x * weight^T + bias; weight is [n, k], bias [n] or null. */
function linear(g, x, weight, bias, n, k, int8) {
    const b = transpose(weight, n, k);
    if (!int8) {
        const product = g.op('MatMul', [x, g.constant([k, n], b)]);
        return bias ? g.op('Add', [product, g.constant([n], bias)]) : product;
    }
    const {bytes, scales} = quantize(b, k, n);
    const inputs = [x, g.constant([k, n], bytes), g.constant([n], scales), ''];
    if (bias) inputs.push(g.constant([n], bias));
    return g.op('DynamicQuantizeMatMul', inputs, {}, 'com.microsoft');
}

function norm(g, x, weights, name, width) {
    return g.op('LayerNormalization', [x, g.constant([width], weights.read(`${name}.weight`)),
                                       g.constant([width], weights.read(`${name}.bias`))],
                {axis: -1, epsilon: 1e-5});
}

function join(arrays) {
    const out = new Float32Array(arrays.reduce((sum, a) => sum + a.length, 0));
    let at = 0;
    for (const a of arrays) {
        out.set(a, at);
        at += a.length;
    }
    return out;
}

function attention(g, x, weights, name, shape, mask, int8) {
    const {width, heads, tokens} = shape, dim = width / heads;
    const names = ['q_proj', 'k_proj', 'v_proj'].map((part) => `${name}.self_attn.${part}`);
    const qkv = linear(g, x, join(names.map((n) => weights.read(`${n}.weight`))),
                       join(names.map((n) => weights.read(`${n}.bias`))), 3 * width, width, int8);
    const parts = g.op('Split', [qkv, g.shape(width, width, width)], {axis: -1}, '', 3);
    const split = (part, perm) =>
        g.op('Transpose', [g.op('Reshape', [part, g.shape(0, tokens, heads, dim)])], {perm});
    const q = g.op('Mul', [split(parts[0], [0, 2, 1, 3]), g.scalar(1 / Math.sqrt(dim))]);
    let scores = g.op('MatMul', [q, split(parts[1], [0, 2, 3, 1])]);
    if (mask) scores = g.op('Add', [scores, mask]);
    const mixed = g.op('MatMul', [g.op('Softmax', [scores], {axis: -1}), split(parts[2], [0, 2, 1, 3])]);
    const rows = g.op('Reshape', [g.op('Transpose', [mixed], {perm: [0, 2, 1, 3]}),
                                  g.shape(0, tokens, width)]);
    return linear(g, rows, weights.read(`${name}.self_attn.out_proj.weight`),
                  weights.read(`${name}.self_attn.out_proj.bias`), width, width, int8);
}

function layers(g, x, weights, prefix, shape, mask, int8) {
    const {width} = shape;
    for (let i = 0; i < shape.layers; i++) {
        const name = `${prefix}.encoder.layers.${i}`;
        x = g.op('Add', [x, attention(g, norm(g, x, weights, `${name}.layer_norm1`, width), weights,
                                      name, shape, mask, int8)]);
        const hidden = linear(g, norm(g, x, weights, `${name}.layer_norm2`, width),
                              weights.read(`${name}.mlp.fc1.weight`),
                              weights.read(`${name}.mlp.fc1.bias`), 4 * width, width, int8);
        const gate = g.op('Sigmoid', [g.op('Mul', [hidden, g.scalar(1.702)])]);
        x = g.op('Add', [x, linear(g, g.op('Mul', [hidden, gate]),
                                   weights.read(`${name}.mlp.fc2.weight`),
                                   weights.read(`${name}.mlp.fc2.bias`), width, 4 * width, int8)]);
    }
    return x;
}

/* pixels [batch, 3, side, side], normalised. */
function imageModel(weights, config, int8) {
    const g = new Graph(), vision = config.vision_config, width = vision.hidden_size;
    const patch = vision.patch_size, grid = Math.floor(vision.image_size / patch), patches = grid ** 2;
    const shape = {width, heads: vision.num_attention_heads, layers: vision.num_hidden_layers,
                   tokens: 1 + patches};
    const name = 'vision_model.embeddings';
    const kernel = weights.read(`${name}.patch_embedding.weight`);
    let rows;
    if (int8) { /* as a product, because a convolution would stay in fp32 */
        const cut = g.op('Reshape', ['pixels', g.shape(0, 3, grid, patch, grid, patch)]);
        const turned = g.op('Transpose', [cut], {perm: [0, 2, 4, 1, 3, 5]});
        const k = 3 * patch * patch;
        rows = linear(g, g.op('Reshape', [turned, g.shape(0, patches, k)]), kernel, null, width, k, true);
    } else {
        const maps = g.op('Conv', ['pixels', g.constant([width, 3, patch, patch], kernel)],
                          {strides: [patch, patch], kernel_shape: [patch, patch]});
        rows = g.op('Transpose', [g.op('Reshape', [maps, g.shape(0, width, patches)])],
                    {perm: [0, 2, 1]});
    }
    const batch = g.op('Shape', ['pixels'], {start: 0, end: 1});
    const first = g.op('Expand', [g.constant([1, 1, width], weights.read(`${name}.class_embedding`)),
                                  g.op('Concat', [batch, g.shape(1, width)], {axis: 0})]);
    let x = g.op('Add', [g.op('Concat', [first, rows], {axis: 1}),
                         g.constant([shape.tokens, width],
                                    weights.read(`${name}.position_embedding.weight`))]);
    x = layers(g, norm(g, x, weights, 'vision_model.pre_layrnorm', width), weights, 'vision_model',
               shape, null, int8);
    const pooled = g.op('Gather', [x, g.constant([], BigInt64Array.of(0n))], {axis: 1});
    const dim = config.projection_dim;
    const from = linear(g, norm(g, pooled, weights, 'vision_model.post_layernorm', width),
                        weights.read('visual_projection.weight'), null, dim, width, int8);
    return g.model({name: 'pixels', type: FLOAT, dims: ['batch', 3, vision.image_size, vision.image_size]},
                   {from, dim});
}

/* ids [batch, tokens], with one end token in each row. */
function textModel(weights, config, tokens, int8) {
    const g = new Graph(), text = config.text_config, width = text.hidden_size;
    const shape = {width, heads: text.num_attention_heads, layers: text.num_hidden_layers, tokens};
    const name = 'text_model.embeddings';
    const table = g.constant([text.vocab_size, width], weights.read(`${name}.token_embedding.weight`));
    const positions = weights.read(`${name}.position_embedding.weight`).subarray(0, tokens * width);
    const mask = new Float32Array(tokens * tokens);
    for (let i = 0; i < tokens; i++) mask.fill(-1e30, i * tokens + i + 1, (i + 1) * tokens);
    let x = g.op('Add', [g.op('Gather', [table, 'ids']), g.constant([tokens, width], positions)]);
    x = layers(g, x, weights, 'text_model', shape, g.constant([tokens, tokens], mask), int8);
    x = norm(g, x, weights, 'text_model.final_layer_norm', width);
    const end = g.constant([], BigInt64Array.of(BigInt(text.eos_token_id)));
    const isEnd = g.op('Cast', [g.op('Equal', ['ids', end])], {to: FLOAT});
    const pooled = g.op('MatMul', [g.op('Unsqueeze', [isEnd, g.shape(1)]), x]);
    const dim = config.projection_dim;
    const from = linear(g, g.op('Squeeze', [pooled, g.shape(1)]),
                        weights.read('text_projection.weight'), null, dim, width, int8);
    return g.model({name: 'ids', type: INT64, dims: ['batch', tokens]}, {from, dim});
}

module.exports = {imageModel, textModel};
