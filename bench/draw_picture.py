#!/usr/bin/env python3
"""Draws bench/picture.jpg, what the load generator posts: 500 x 375 pixels, as heavy to
decode as a photograph of that size (clouds of noise with edges, quality 90). Needs Pillow;
the picture is committed, so that every machine decodes the same bytes."""
import pathlib
import random

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 500, 375
OUT = pathlib.Path(__file__).parent / "picture.jpg"


def clouds(rng):
    """Noise with as much detail at each scale as photographs have, about 1/f."""
    sum_image = Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128))
    for scale, weight in ((128, 0.55), (64, 0.45), (32, 0.35), (16, 0.25), (8, 0.2), (4, 0.13), (2, 0.07)):
        size = (WIDTH // scale + 2, HEIGHT // scale + 2)
        noise = Image.frombytes("RGB", size, rng.randbytes(size[0] * size[1] * 3))
        sum_image = Image.blend(sum_image, noise.resize((WIDTH, HEIGHT), Image.BICUBIC), weight)
    return sum_image


def main():
    rng = random.Random(7)
    image = clouds(rng)
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, r = rng.randrange(WIDTH), rng.randrange(HEIGHT), rng.randrange(5, 60)
        colour = tuple(rng.randrange(256) for _ in range(3))
        draw.ellipse((x - r, y - r // 2, x + r, y + r // 2), outline=colour, width=2)
    image.save(OUT, quality=90, subsampling="4:2:0")


if __name__ == "__main__":
    main()
