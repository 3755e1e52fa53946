#!/usr/bin/env node
/* peers.js - ONNX Runtime and clipd on the same random weights, side by side.
 *
 *     bench/peers/peers.js [--rounds N] [--seconds S] [--threads N,...] [--batch N,...]
 *                          [--towers image,text] [--precisions fp32,int8] [--json FILE]
 *
 * Installs onnxruntime-node below build/peers, makes a random ViT-B-32 below build/bench,
 * writes it as ONNX models, checks that both give the same embeddings, and then measures
 * one after the other, several rounds; the best round of each counts. What is measured
 * in clipd is `clipd bench --model`. bf16 is compared with PyTorch, where that is installed. */
'use strict';

const {execFileSync, spawnSync} = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');
const {Checkpoint} = require('./checkpoint.js');
const {imageModel, textModel} = require('./onnx.js');

const ROOT = path.resolve(__dirname, '../..');
const CLIPD = process.env.CLIPD || path.join(ROOT, 'build/release/clipd');
const PEERS = path.join(ROOT, 'build/peers');
const MODEL = path.join(ROOT, 'build/bench/ViT-B-32');
const PACKAGE = 'onnxruntime-node@1.30.0';
/* A model of ONNX computes all of TOKENS for every text; clipd stops at the text's end, so
 * that an ordinary caption, of CAPTION_TOKENS, is a row of its own. */
const TOKENS = 77, CAPTION_TOKENS = 16, REPEATS = 3;

function readOptions() {
    const cores = Math.max(1, os.availableParallelism());
    const options = {rounds: '3', seconds: '1.5', threads: cores > 1 ? `1,${cores}` : '1', batch: '1,8',
                     towers: 'image,text', precisions: 'fp32,int8', json: ''};
    const given = process.argv.slice(2);
    for (let i = 0; i < given.length; i += 2) {
        const name = given[i].replace(/^--/, '');
        if (!(name in options) || given[i + 1] === undefined) {
            console.error(`peers.js: found '${given[i]}', expected --${Object.keys(options).join(' X, --')} X`);
            process.exit(64);
        }
        options[name] = given[i + 1];
    }
    const list = (text) => text.split(',');
    return {rounds: Number(options.rounds), seconds: Number(options.seconds), json: options.json,
            threads: list(options.threads).map(Number), batch: list(options.batch).map(Number),
            towers: list(options.towers), precisions: list(options.precisions)};
}

/* ---- set-up ---- */

function install() {
    if (!fs.existsSync(path.join(PEERS, 'node_modules/onnxruntime-node'))) {
        fs.mkdirSync(PEERS, {recursive: true});
        /* Its script would fetch libraries for GPUs. */
        execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', PEERS,
                             PACKAGE], {stdio: ['ignore', 'ignore', 'inherit']});
    }
    if (!fs.existsSync(path.join(MODEL, 'model.safetensors')))
        execFileSync('python3', [path.join(ROOT, 'tools/make_random_model.py'), MODEL, 'ViT-B-32']);
    return require(path.join(PEERS, 'node_modules/onnxruntime-node'));
}

function writeModels(checkpoint) {
    const files = {};
    for (const precision of ['fp32', 'int8']) {
        for (const tower of ['image', 'text']) {
            const file = path.join(PEERS, `${tower}-${precision}.onnx`);
            files[`${tower} ${precision}`] = file;
            if (fs.existsSync(file)) continue;
            const int8 = precision === 'int8';
            fs.writeFileSync(`${file}.part`, tower === 'image'
                ? imageModel(checkpoint, checkpoint.config, int8)
                : textModel(checkpoint, checkpoint.config, TOKENS, int8));
            fs.renameSync(`${file}.part`, file);
        }
    }
    return files;
}

/* ---- inputs ---- */

/* Smooth colours, [side, side, 3]. */
function drawPixels(side, seed) {
    const pixels = Buffer.alloc(side * side * 3);
    for (let i = 0; i < pixels.length; i++) {
        const c = i % 3, x = (i - c) / 3 % side, y = Math.floor(i / 3 / side);
        pixels[i] = 127 + 60 * Math.sin((x * (c + 1) + seed * 31) / 29) + 60 * Math.cos((y + seed * 17) / (19 + c));
    }
    return pixels;
}

function png(pixels, side) {
    const chunk = (kind, data) => {
        const body = Buffer.concat([Buffer.from(kind), data]), out = Buffer.alloc(body.length + 8);
        out.writeUInt32BE(data.length);
        body.copy(out, 4);
        out.writeUInt32BE(crc32(body), body.length + 4);
        return out;
    };
    const head = Buffer.from([0, 0, side >> 8, side & 255, 0, 0, side >> 8, side & 255, 8, 2, 0, 0, 0]);
    const rows = [];
    for (let y = 0; y < side; y++) rows.push(Buffer.from([0]), pixels.subarray(y * side * 3, (y + 1) * side * 3));
    return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head),
                          chunk('IDAT', zlib.deflateSync(Buffer.concat(rows))), chunk('IEND', Buffer.alloc(0))]);
}

function crc32(bytes) {
    let crc = -1;
    for (const byte of bytes) {
        crc ^= byte;
        for (let k = 0; k < 8; k++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc >>> 0;
}

/* [batch, 3, side, side], normalised as the model wants it. */
function imageFeed(ort, checkpoint, batch, pixelsOf) {
    const side = checkpoint.config.vision_config.image_size, {image_mean, image_std} = checkpoint.preprocess;
    const data = new Float32Array(batch * 3 * side * side);
    for (let b = 0; b < batch; b++) {
        const pixels = pixelsOf(b);
        for (let i = 0; i < side * side * 3; i++)
            data[b * side * side * 3 + i % 3 * side * side + Math.floor(i / 3)] =
                (pixels[i] / 255 - image_mean[i % 3]) / image_std[i % 3];
    }
    return {pixels: new ort.Tensor('float32', data, [batch, 3, side, side])};
}

/* [batch, TOKENS]: ids, then zeros, which the causal mask keeps from mattering. */
function textFeed(ort, batch, idsOf) {
    const data = new BigInt64Array(batch * TOKENS);
    for (let b = 0; b < batch; b++) idsOf(b).forEach((id, i) => { data[b * TOKENS + i] = BigInt(id); });
    return {ids: new ort.Tensor('int64', data, [batch, TOKENS])};
}

function feedOf(ort, checkpoint, tower, batch) {
    const side = checkpoint.config.vision_config.image_size, end = checkpoint.config.text_config.eos_token_id;
    if (tower === 'image') return imageFeed(ort, checkpoint, batch, (b) => drawPixels(side, b));
    return textFeed(ort, batch, (b) => Array.from({length: TOKENS}, (_, i) =>
        i === TOKENS - 1 ? end : (i * 37 + b * 101) % end));
}

/* ---- both programs ---- */

function clipd(args) {
    const out = execFileSync(CLIPD, args, {maxBuffer: 1 << 26, env: {...process.env, CLIPD_CACHE_DIR: 'none'}});
    return out.toString().trim().split('\n').map((line) => JSON.parse(line));
}

function openSession(ort, file, threads) {
    return ort.InferenceSession.create(file, {intraOpNumThreads: threads, interOpNumThreads: 1,
                                              executionMode: 'sequential', graphOptimizationLevel: 'all'});
}

function cosine(a, b) {
    let ab = 0, aa = 0, bb = 0;
    for (let i = 0; i < a.length; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return ab / Math.sqrt(aa * bb);
}

/* The cosine between what ONNX Runtime and clipd in fp32 make of one input. */
async function check(ort, checkpoint, files) {
    const side = checkpoint.config.vision_config.image_size, pixels = drawPixels(side, 3);
    const picture = path.join(PEERS, 'check.png'), text = 'a photo of a ship.';
    fs.writeFileSync(picture, png(pixels, side));
    const serve = ['--model', MODEL];
    process.env.CLIPD_PRECISION = 'fp32';
    const [image] = clipd(['embed', 'image', ...serve, picture]);
    const [words] = clipd(['embed', 'text', ...serve, text]);
    const [ids] = clipd(['tokenize', ...serve, text]);
    const cosines = {};
    for (const [name, file] of Object.entries(files)) {
        const session = await openSession(ort, file, 1), isImage = name.startsWith('image');
        const {embeddings} = await session.run(isImage ? imageFeed(ort, checkpoint, 1, () => pixels)
                                                       : textFeed(ort, 1, () => ids));
        cosines[name] = cosine(embeddings.data, (isImage ? image : words).embedding);
        await session.release();
        const least = name.endsWith('fp32') ? 0.99999 : 0.99;
        if (!(cosines[name] > least)) throw new Error(`${name}: the peer computes something else, cosine ${cosines[name]}`);
    }
    return cosines;
}

/* Inputs a second of the best of REPEATS, as clipd bench counts; of real time, and of CPU
 * time of all threads. */
async function measurePeer(session, feed, batch, seconds) {
    const best = {wall: 0, cpu: 0};
    for (let repeat = 0; repeat < REPEATS; repeat++) {
        const begin = process.hrtime.bigint(), beginCpu = process.cpuUsage();
        let count = 0, elapsed = 0;
        while (elapsed < seconds / REPEATS) {
            await session.run(feed);
            count += batch;
            elapsed = Number(process.hrtime.bigint() - begin) * 1e-9;
        }
        const cpu = process.cpuUsage(beginCpu);
        best.wall = Math.max(best.wall, count / elapsed);
        best.cpu = Math.max(best.cpu, count / ((cpu.user + cpu.system) * 1e-6));
    }
    return best;
}

/* Rows of both modes, {throughput, lone}, where there are two. */
function measureClipd(cell, seconds) {
    const rows = clipd(['bench', '--model', MODEL, '--json', '--tower', cell.tower, '--precision', cell.precision,
                        '--threads', `${cell.threads}`, '--batch', `${cell.batch}`, '--tokens', `${cell.tokens}`,
                        '--seconds', `${seconds / REPEATS}`, '--repeats', `${REPEATS}`]);
    return Object.fromEntries(rows.map((row) => [row.mode, row]));
}

async function measureCell(ort, checkpoint, files, cell, options) {
    const feed = feedOf(ort, checkpoint, cell.tower, cell.batch), row = {...cell};
    const keep = (name, value) => { row[name] = Math.max(row[name] || 0, value); };
    for (let round = 0; round < options.rounds; round++) {
        const session = await openSession(ort, files[`${cell.tower} ${cell.precision}`], cell.threads);
        await session.run(feed);
        const peer = await measurePeer(session, feed, cell.batch, options.seconds);
        await session.release(); /* and with it the threads that would spin */
        const {throughput, lone} = measureClipd(cell, options.seconds);
        keep('onnxruntime', peer.wall);
        keep('clipd', throughput.items_per_second);
        keep('peak_gflops', throughput.peak_gflops);
        if (lone) keep('lone', lone.items_per_second);
        /* Threads that wait by spinning make CPU time mean little but for one alone. */
        if (cell.threads > 1) continue;
        keep('onnxruntime_cpu', peer.cpu);
        keep('clipd_cpu', throughput.items_per_second * throughput.cpu_share / throughput.peak_share);
    }
    row.ratio = row.clipd / row.onnxruntime;
    if (row.clipd_cpu) row.ratio_cpu = row.clipd_cpu / row.onnxruntime_cpu;
    if (row.lone) row.ratio_lone = row.lone / row.onnxruntime;
    return row;
}

function printRow(row) {
    const number = (value, width) => (value === undefined ? '-' : value.toFixed(2)).padStart(width);
    const tower = row.tower === 'text' ? `text ${row.tokens}` : row.tower;
    console.log(tower.padEnd(8) + row.precision.padEnd(6) + String(row.threads).padStart(7) +
                String(row.batch).padStart(6) + number(row.onnxruntime, 13) + number(row.clipd, 10) +
                number(row.ratio, 8) + number(row.ratio_cpu, 8) + number(row.lone, 10) + number(row.ratio_lone, 8));
}

async function main() {
    const options = readOptions(), ort = install(), checkpoint = new Checkpoint(MODEL);
    const files = writeModels(checkpoint), cosines = await check(ort, checkpoint, files);
    const cpu = os.cpus()[0].model.trim();
    console.log(`${cpu}; onnxruntime ${ort.env.versions.node}; ViT-B-32, 224 pixels, ${TOKENS} tokens`);
    console.log('cosines of onnxruntime against clipd in fp32: ' +
                Object.entries(cosines).map(([name, value]) => `${name} ${value.toFixed(6)}`).join(', '));
    console.log('inputs a second, best of rounds; in CPU: the ratio by CPU time of one thread, which neighbours ' +
                'disturb less; lone: one input at a time over all threads\n' +
                'tower   prec  threads batch  onnxruntime     clipd   ratio  in CPU      lone   ratio');
    const rows = [];
    for (const tower of options.towers)
        for (const precision of options.precisions)
            for (const threads of options.threads)
                for (const batch of options.batch)
                    for (const tokens of tower === 'text' ? [CAPTION_TOKENS, TOKENS] : [TOKENS]) {
                        const cell = {tower, precision, threads, batch, tokens};
                        rows.push(await measureCell(ort, checkpoint, files, cell, options));
                        printRow(rows[rows.length - 1]);
                    }
    const torch = spawnSync('python3', [path.join(__dirname, 'torch_bf16.py'), CLIPD, `${options.seconds}`],
                            {stdio: ['ignore', 'inherit', 'inherit']});
    if (options.json)
        fs.writeFileSync(options.json, `${JSON.stringify({cpu, onnxruntime: ort.env.versions.node, cosines, rows}, null, 1)}\n`);
    process.exitCode = torch.status;
}

main().catch((error) => {
    console.error(`peers.js: ${error.message}`);
    process.exitCode = 1;
});
