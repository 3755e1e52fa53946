"""How weights begin: as OpenAI's code has it, and a start that saves a small model half of the way."""

import torch
from torch import nn
from torch.nn import functional as F


@torch.no_grad()
def as_openai(model):
    """SPEC.md, section 9."""
    for tower in (model.vision_model, model.text_model):
        layers = tower.encoder.layers
        width = layers[0].layer_norm1.weight.numel()
        for layer in layers:
            attention = layer.self_attn
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
                nn.init.normal_(projection.weight, std=width ** -0.5)
            deep = width ** -0.5 * (2 * len(layers)) ** -0.5
            nn.init.normal_(attention.out_proj.weight, std=deep)
            nn.init.normal_(layer.mlp.fc1.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(layer.mlp.fc2.weight, std=deep)
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            nn.init.zeros_(parameter)
    image, text = model.vision_model.embeddings, model.text_model.embeddings
    wide, narrow = (m.embeddings.position_embedding.weight.shape[1] ** -0.5
                    for m in (model.vision_model, model.text_model))
    nn.init.normal_(image.class_embedding, std=wide)
    nn.init.normal_(image.position_embedding.weight, std=wide)
    nn.init.normal_(model.visual_projection.weight, std=wide)
    nn.init.normal_(text.token_embedding.weight, std=0.02)
    nn.init.normal_(text.position_embedding.weight, std=0.01)
    nn.init.normal_(model.text_projection.weight, std=narrow)


def waves(width, rows):
    """Sines and cosines of the two coordinates of each patch: near patches are alike."""
    places = torch.arange(rows) * (8 / rows)
    quarter = width // 4
    angles = places[:, None] * 100 ** -(torch.arange(quarter) / quarter)
    line = torch.cat([angles.sin(), angles.cos()], 1)
    grid = torch.cat([line[:, None].expand(rows, rows, -1), line[None].expand(rows, rows, -1)], -1)
    return F.pad(grid.reshape(rows * rows, -1), (0, width - 4 * quarter))


def factor(matrix, rank):
    """(left [n, rank], right [rank, n]) whose product is the nearest to the matrix."""
    u, s, v = torch.linalg.svd(matrix)
    root = s[:rank].sqrt()
    return u[:, :rank] * root, root[:, None] * v[:rank]


@torch.no_grad()
def mimetic(attention):
    """Attention that begins as trained ones end: tokens look at their like, and values are taken
    off the stream (A. Trockman, J. Z. Kolter: Mimetic initialization, 2023)."""
    width, heads = attention.q_proj.in_features, attention.heads
    size, eye = width // heads, torch.eye(width)
    for i in range(heads):
        left, right = factor(0.7 * torch.randn(width, width) * width ** -0.5 + 0.7 * eye, size)
        attention.q_proj.weight[i * size:(i + 1) * size] = left.T
        attention.k_proj.weight[i * size:(i + 1) * size] = right
    left, right = factor(0.4 * torch.randn(width, width) * width ** -0.5 - 0.4 * eye, width)
    attention.v_proj.weight.copy_(left.T)
    attention.out_proj.weight.copy_(right.T)


@torch.no_grad()
def whiten_patches(embedding, pixels):
    """The patch embedding as the principal directions of real patches, each of length 1, turned at
    random: every later layer sees numbers of one size, whatever pictures have most of."""
    width, _, side, _ = embedding.weight.shape
    patches = F.unfold(pixels, side, stride=side).transpose(1, 2).reshape(-1, 3 * side * side)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    count = min(width, len(values))
    directions = vectors[:, -count:] / (values[-count:] + 0.03).sqrt()
    turn = torch.linalg.qr(torch.randn(width, width))[0][:, :count]
    embedding.weight.copy_((turn @ directions.T).view_as(embedding.weight))


@torch.no_grad()
def small(model, pixels):
    """pixels: normalised pictures to learn the patches from."""
    as_openai(model)
    image, text = model.vision_model.embeddings, model.text_model
    whiten_patches(image.patch_embedding, pixels)
    width = image.class_embedding.numel()
    rows = round((len(image.position_embedding.weight) - 1) ** 0.5)
    image.position_embedding.weight[0].zero_()
    image.position_embedding.weight[1:] = waves(width, rows)
    nn.init.normal_(image.class_embedding, std=0.5)
    nn.init.normal_(text.embeddings.token_embedding.weight, std=0.05)
    for tower in (model.vision_model, text):
        for layer in tower.encoder.layers:
            inner, width = layer.mlp.fc1.weight.shape
            nn.init.normal_(layer.mlp.fc1.weight, std=0.8 * width ** -0.5)
            nn.init.normal_(layer.mlp.fc2.weight, std=0.5 * inner ** -0.5)
            if tower is model.vision_model:
                mimetic(layer.self_attn)
