"""CLIP in PyTorch, laid out as Hugging Face does it.

The modules carry the names of the checkpoint, so that load_state_dict() and state_dict() read and
write a Hugging Face directory without a table of names. It is the model that is trained; the model
that is served lives in ../core/towers and is compared with this one in the tests.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS = {"quick_gelu": quick_gelu, "gelu": F.gelu}


def attend(q, k, v, causal):
    if hasattr(F, "scaled_dot_product_attention"):  # since PyTorch 2; Debian 12 has 1.13
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    scores = q @ k.transpose(2, 3) * k.shape[3] ** -0.5
    if causal:
        later = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(3) @ v


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x, causal):
        batch, length, width = x.shape
        # One product with the three matrices side by side is faster than three products.
        three = (self.q_proj, self.k_proj, self.v_proj)
        qkv = F.linear(x, torch.cat([p.weight for p in three]), torch.cat([p.bias for p in three]))
        q, k, v = qkv.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.out_proj(attend(q, k, v, causal).transpose(1, 2).reshape(batch, length, width))

    def of_one(self, x, picked, visible):
        """What token `picked` of each row gets: [batch, width]; visible: None or [batch, length]."""
        batch, length, width = x.shape
        two = (self.k_proj, self.v_proj)
        kv = F.linear(x, torch.cat([p.weight for p in two]), torch.cat([p.bias for p in two]))
        k, v = kv.view(batch, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        q = self.q_proj(x[torch.arange(batch, device=x.device), picked])
        scores = q.view(batch, self.heads, 1, -1) @ k.transpose(2, 3) * k.shape[3] ** -0.5
        if visible is not None:
            scores = scores.masked_fill(~visible[:, None, None], -torch.inf)
        return self.out_proj((scores.softmax(3) @ v).reshape(batch, width))


class Mlp(nn.Module):
    def __init__(self, width, inner, activation):
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x):
        return self.fc2(self.activation(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, eps = config["hidden_size"], config.get("layer_norm_eps", 1e-5)
        self.self_attn = Attention(width, config["num_attention_heads"])
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, config["intermediate_size"], config.get("hidden_act", "quick_gelu"))
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)

    def forward(self, x, causal):
        x = x + self.self_attn(self.layer_norm1(x), causal)
        return x + self.mlp(self.layer_norm2(x))

    def of_one(self, x, picked, visible):
        own = x[torch.arange(len(x), device=x.device), picked]
        own = own + self.self_attn.of_one(self.layer_norm1(x), picked, visible)
        return own + self.mlp(self.layer_norm2(own))


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))

    def forward(self, x, picked, visible=None):
        """The last layer's token `picked` of each row: nothing else of that layer is looked at, so
        nothing else is computed. visible: the tokens up to the picked one, where order counts."""
        *layers, last = self.layers
        for layer in layers:
            x = layer(x, visible is not None)
        return last.of_one(x, picked, visible)


class VisionEmbeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, self.patch = config["hidden_size"], config["patch_size"]
        positions = (config["image_size"] // self.patch) ** 2 + 1
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding = nn.Conv2d(3, width, self.patch, self.patch, bias=False)
        self.position_embedding = nn.Embedding(positions, width)

    def positions(self, rows):
        """One vector for the class token and one for each patch; resampled where the pictures are
        of another size than the model's, as in the cheaper part of training."""
        own = self.position_embedding.weight
        grid = math.isqrt(len(own) - 1)
        if rows == grid:
            return own
        patches = own[1:].T.reshape(1, -1, grid, grid)
        patches = F.interpolate(patches, (rows, rows), mode="bilinear", antialias=True)
        return torch.cat([own[:1], patches.flatten(2)[0].T])

    def forward(self, pixels, keep):
        """keep < 1 leaves that share of the patches, other ones for each image (FLIP)."""
        batch, p = len(pixels), self.patch
        rows = pixels.shape[2] // p
        patches = pixels.view(batch, 3, rows, p, rows, p).permute(0, 2, 4, 1, 3, 5)
        patches = patches.reshape(batch, rows * rows, 3 * p * p)
        positions = self.positions(rows)
        where = positions[1:].expand(batch, -1, -1)
        if keep < 1:
            count = max(1, round(rows * rows * keep))
            chosen = torch.rand(batch, rows * rows, device=pixels.device).topk(count).indices
            patches = patches.gather(1, chosen[..., None].expand(-1, -1, patches.shape[2]))
            where = positions[1:][chosen]
        x = F.linear(patches, self.patch_embedding.weight.flatten(1)) + where
        first = (self.class_embedding + positions[0]).expand(batch, 1, -1)
        return torch.cat([first, x], 1)


class VisionModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, eps = config["hidden_size"], config.get("layer_norm_eps", 1e-5)
        self.embeddings = VisionEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(width, eps=eps)  # the name is misspelt in every checkpoint
        self.encoder = Encoder(config)
        self.post_layernorm = nn.LayerNorm(width, eps=eps)

    def forward(self, pixels, keep=1.0):
        x = self.pre_layrnorm(self.embeddings(pixels, keep))
        return self.post_layernorm(self.encoder(x, torch.zeros(len(x), dtype=torch.long, device=x.device)))


class TextEmbeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.token_embedding = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.position_embedding = nn.Embedding(config["max_position_embeddings"],
                                               config["hidden_size"])

    def forward(self, ids):
        return self.token_embedding(ids) + self.position_embedding.weight[:ids.shape[1]]


class TextModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embeddings = TextEmbeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config["hidden_size"],
                                             eps=config.get("layer_norm_eps", 1e-5))

    def forward(self, ids, ends):
        """ids: padded rows of tokens; ends: the index of each row's end token, which is pooled."""
        visible = torch.arange(ids.shape[1], device=ids.device) <= ends[:, None]
        return self.final_layer_norm(self.encoder(self.embeddings(ids), ends, visible))


class Clip(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        vision, text, width = config["vision_config"], config["text_config"], config["projection_dim"]
        self.vision_model = VisionModel(vision)
        self.text_model = TextModel(text)
        self.visual_projection = nn.Linear(vision["hidden_size"], width, bias=False)
        self.text_projection = nn.Linear(text["hidden_size"], width, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.6593))

    def image(self, pixels, keep=1.0):
        return F.normalize(self.visual_projection(self.vision_model(pixels, keep)), dim=-1)

    def text(self, ids, ends):
        return F.normalize(self.text_projection(self.text_model(ids, ends)), dim=-1)

    def forward(self, pixels, rows, keep=1.0):
        """Both towers at once: what DistributedDataParallel needs to see. rows: (ids, ends) of texts
        that are of about one length, so that little is padding."""
        texts = torch.cat([self.text(ids, ends) for ids, ends in rows])
        return self.image(pixels, keep), texts, self.logit_scale
