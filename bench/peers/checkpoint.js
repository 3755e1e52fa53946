/* checkpoint.js - reads a Hugging Face CLIP checkpoint in fp16, such as
 * tools/make_random_model.py writes. */
'use strict';

const fs = require('fs');
const path = require('path');

/* What every fp16 number is in fp32. */
function halfTable() {
    const table = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits++) {
        const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
        table[bits] = exponent === 31 ? NaN
            : sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * fraction / 1024);
    }
    return table;
}

class Checkpoint {
    constructor(folder) {
        this.config = JSON.parse(fs.readFileSync(path.join(folder, 'config.json'), 'utf8'));
        this.preprocess = JSON.parse(fs.readFileSync(path.join(folder, 'preprocessor_config.json'), 'utf8'));
        this.data = fs.readFileSync(path.join(folder, 'model.safetensors'));
        const size = Number(this.data.readBigUInt64LE(0));
        this.header = JSON.parse(this.data.toString('utf8', 8, 8 + size));
        this.start = 8 + size;
        this.halves = halfTable();
    }

    read(name) {
        const tensor = this.header[name];
        if (!tensor || tensor.dtype !== 'F16') throw new Error(`${name}: expected a tensor of F16`);
        const [begin, end] = tensor.data_offsets, out = new Float32Array((end - begin) / 2);
        for (let i = 0; i < out.length; i++)
            out[i] = this.halves[this.data.readUInt16LE(this.start + begin + 2 * i)];
        return out;
    }
}

module.exports = {Checkpoint};
