#!/usr/bin/python3
"""Draws the pictures that README.md shows requests with: a ship, an airplane, a cat, a dog, a car.

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


def face(draw, x, y, fur, dark):
    """Eyes, nose and mouth of a cat or a dog, around the point between the eyes."""
    for side in (-1, 1):
        ellipse(draw, x + side * 17, y, 8, 9, (225, 205, 90))
        ellipse(draw, x + side * 17, y, 3.5, 7, (20, 20, 20))
    ellipse(draw, x, y + 24, 15, 11, fur)
    draw.polygon(points((x - 7, y + 15), (x + 7, y + 15), (x, y + 24)), fill=dark)
    draw.line(points((x, y + 24), (x - 9, y + 31)), fill=dark, width=6)
    draw.line(points((x, y + 24), (x + 9, y + 31)), fill=dark, width=6)


def cat():
    image, draw = canvas((150, 130, 112), (196, 178, 156), 0.7, (120, 86, 62))
    fur, stripe, pale = (140, 138, 136), (84, 82, 82), (206, 202, 198)
    draw.line(points((186, 216), (226, 196), (228, 150)), fill=fur, width=56)
    ellipse(draw, 130, 178, 62, 62, fur)
    for y in (142, 160, 178):
        draw.line(points((182, y), (160, y + 10)), fill=stripe, width=26)
        draw.line(points((78, y), (100, y + 10)), fill=stripe, width=26)
    ellipse(draw, 130, 192, 26, 44, pale)
    for side in (-1, 1):
        draw.polygon(points((130 + side * 52, 96), (130 + side * 46, 26), (130 + side * 12, 58)), fill=fur)
        draw.polygon(points((130 + side * 45, 80), (130 + side * 42, 40), (130 + side * 22, 60)),
                     fill=(206, 150, 132))
        ellipse(draw, 130 + side * 24, 230, 22, 13, fur)
    ellipse(draw, 130, 94, 55, 47, fur)
    for x in (-16, 0, 16):
        draw.line(points((130 + x, 50), (130 + x * 0.7, 70)), fill=stripe, width=24)
    face(draw, 130, 90, pale, (110, 60, 56))
    for side in (-1, 1):
        for rise in (-8, 0, 8):
            draw.line(points((130 + side * 18, 114), (130 + side * 68, 114 + rise)),
                      fill=(240, 236, 228), width=4)
    save(image, "cat.jpg")


def dog():
    image, draw = canvas((150, 190, 220), (205, 222, 226), 0.55, (98, 142, 70))
    fur, dark, pale = (202, 156, 92), (140, 96, 48), (238, 220, 188)
    draw.line(points((188, 190), (226, 160), (234, 130)), fill=fur, width=64)
    ellipse(draw, 132, 186, 56, 58, fur)
    for side in (-1, 1):
        draw.rectangle(points((128 + side * 26 - 12, 180), (128 + side * 26 + 12, 238)), fill=fur)
        ellipse(draw, 128 + side * 28, 238, 18, 10, pale)
    ellipse(draw, 128, 178, 28, 40, pale)
    ellipse(draw, 128, 92, 48, 50, fur)
    for side in (-1, 1):
        draw.polygon(points((128 + side * 34, 52), (128 + side * 66, 66), (128 + side * 70, 128),
                            (128 + side * 48, 134), (128 + side * 40, 92)), fill=dark)
        ellipse(draw, 128 + side * 18, 84, 7, 8, (50, 32, 20))
        ellipse(draw, 128 + side * 16, 81, 2, 2, (250, 250, 250))
    ellipse(draw, 128, 118, 29, 26, pale)
    ellipse(draw, 128, 106, 12, 9, (34, 28, 28))
    draw.line(points((128, 112), (128, 126)), fill=(60, 40, 36), width=6)
    draw.line(points((112, 124), (128, 130), (144, 124)), fill=(60, 40, 36), width=6)
    ellipse(draw, 128, 140, 9, 13, (222, 110, 116))
    save(image, "dog.jpg")


def car():
    image, draw = canvas((88, 122, 66), (120, 150, 90), 0.6, (122, 120, 118))
    body, shade, glass = (196, 34, 38), (140, 22, 26), (150, 190, 206)
    ellipse(draw, 128, 212, 112, 9, (70, 70, 74))
    draw.polygon(points((66, 142), (94, 100), (168, 98), (204, 140)), fill=body)
    draw.polygon(points((78, 141), (99, 107), (126, 106), (126, 141)), fill=glass)
    draw.polygon(points((134, 141), (134, 106), (164, 105), (190, 140)), fill=glass)
    draw.polygon(points((14, 154), (66, 140), (206, 138), (240, 152), (246, 194), (12, 196)), fill=body)
    draw.polygon(points((12, 180), (246, 178), (246, 196), (12, 198)), fill=shade)
    draw.line(points((130, 142), (130, 190)), fill=shade, width=6)
    draw.rectangle(points((140, 154), (154, 158)), fill=(90, 14, 18))
    for x in (62, 196):
        ellipse(draw, x, 194, 27, 27, (28, 28, 30))
        ellipse(draw, x, 194, 14, 14, (176, 178, 182))
        ellipse(draw, x, 194, 5, 5, (90, 92, 96))
    ellipse(draw, 238, 162, 8, 7, (250, 240, 190))
    ellipse(draw, 17, 164, 6, 7, (240, 90, 60))
    save(image, "car.jpg")


ship()
airplane()
cat()
dog()
car()
