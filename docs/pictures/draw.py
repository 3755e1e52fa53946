#!/usr/bin/python3
"""Draws the pictures that README.md shows requests with: a ship and an airplane.

Drawn, so that the repository contains nobody's photographs. Run it from anywhere; it
needs Pillow. The files are committed: what README.md says of them was computed from
these very bytes.
"""
import pathlib

from PIL import Image, ImageDraw, ImageFilter

HERE = pathlib.Path(__file__).parent
SIDE = 256
SCALE = 4  # drawn larger and reduced, for smooth edges


def canvas(top, bottom, horizon=1.0, ground=(0, 0, 0)):
    """A sky from `top` to `bottom`, and below the horizon the ground."""
    image = Image.new("RGB", (SIDE * SCALE, SIDE * SCALE), ground)
    draw = ImageDraw.Draw(image)
    height = int(SIDE * SCALE * horizon)
    for y in range(height):
        share = y / height
        draw.line([(0, y), (SIDE * SCALE, y)],
                  fill=tuple(round(a + (b - a) * share) for a, b in zip(top, bottom)))
    return image, draw


def points(*pairs):
    return [(x * SCALE, y * SCALE) for x, y in pairs]


def ellipse(draw, x, y, rx, ry, fill):
    draw.ellipse(points((x - rx, y - ry), (x + rx, y + ry)), fill=fill)


def save(image, name, blur=1.0):
    image = image.resize((SIDE, SIDE), Image.LANCZOS).filter(ImageFilter.GaussianBlur(blur))
    image.save(HERE / name, quality=88)


def ship():
    image, draw = canvas((150, 185, 215), (205, 220, 230), 0.62, (45, 85, 120))
    for i in range(14):
        y = 166 + i * 6
        draw.line(points((0, y), (256, y + (i % 3) - 1)), fill=(55 + i * 3, 95 + i * 2, 130), width=6)
    draw.polygon(points((22, 138), (236, 132), (214, 176), (46, 178)), fill=(40, 42, 50))
    draw.polygon(points((46, 178), (214, 176), (210, 184), (50, 186)), fill=(140, 40, 35))
    draw.polygon(points((60, 112), (190, 110), (196, 135), (56, 138)), fill=(235, 235, 232))
    draw.polygon(points((88, 90), (164, 88), (168, 112), (84, 113)), fill=(225, 226, 226))
    draw.polygon(points((112, 52), (138, 52), (140, 90), (110, 90)), fill=(170, 60, 45))
    draw.rectangle(points((110, 52), (139, 62)), fill=(40, 40, 45))
    for x in range(68, 190, 14):
        ellipse(draw, x, 124, 3.5, 3.5, (70, 90, 110))
    draw.line(points((196, 134), (204, 60)), fill=(60, 60, 65), width=8)
    save(image, "ship.jpg")


def airplane():
    image, draw = canvas((120, 165, 215), (200, 220, 238))
    draw.polygon(points((28, 140), (52, 118), (190, 104), (232, 116), (196, 134), (60, 148)),
                 fill=(228, 230, 234))
    draw.polygon(points((60, 148), (196, 134), (232, 116), (190, 126), (70, 138)), fill=(165, 170, 180))
    draw.polygon(points((112, 128), (150, 124), (96, 196), (74, 198)), fill=(190, 194, 202))
    draw.polygon(points((120, 114), (150, 111), (178, 66), (164, 66)), fill=(205, 208, 214))
    draw.polygon(points((28, 138), (52, 120), (44, 72), (26, 74)), fill=(60, 80, 140))
    draw.polygon(points((34, 136), (58, 130), (40, 158), (24, 160)), fill=(180, 185, 195))
    for x in range(70, 196, 10):
        ellipse(draw, x, 121 - (x - 70) * 0.08, 2, 2, (70, 80, 100))
    ellipse(draw, 112, 160, 9, 6, (90, 95, 105))
    save(image, "airplane.jpg")


ship()
airplane()
