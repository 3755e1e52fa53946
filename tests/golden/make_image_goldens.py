#!/usr/bin/python3
"""Makes tests/golden/image/: tiny images and what the model should see of them.

The images are made here, so that the repository contains nobody's photographs. The
crops are computed by Pillow (9.4 was used: later versions open 16-bit grey in another
mode, with the same pixels in RGB) with the steps of torchvision and of Hugging Face's
CLIPImageProcessor written out. Run it from anywhere; it needs Pillow and NumPy.

cases.txt: file, order, resize, filter, size, resize_to, exif, fill (hex) of each crop.
crops.npy: their RGB bytes, one after the other.
"""
import pathlib
import struct
import zlib

import numpy
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent / "image"
NEAREST, LANCZOS, BILINEAR, BICUBIC, BOX, HAMMING = range(6)
RANDOM = numpy.random.RandomState(1)
SIZE = 9


def picture(width, height, channels=3, maximum=255):
    """Slopes, an edge and some noise: every filter gives something else."""
    y, x = numpy.mgrid[0:height, 0:width].astype(float)
    planes = []
    for channel in range(channels):
        plane = (x * (channel + 1) / width + y * (3 - channel) / height) / 4
        plane[(x * 2 > width) ^ (y * 3 > height)] += 0.35
        plane += RANDOM.uniform(-0.2, 0.2, plane.shape)
        planes.append(numpy.clip(plane, 0, 1) * maximum)
    return numpy.stack(planes, 2).round().astype(int)


# PNG, written by hand: Pillow writes neither all depths nor interlaced files.

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def scanlines(pixels, depth):
    """Rows of samples [height, width, channels], filter type 0."""
    out = b""
    for row in pixels.reshape(len(pixels), -1):
        bits = "".join(format(sample, f"0{depth}b") for sample in row)
        bits += "0" * (-len(bits) % 8)
        out += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return out


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2)]


def png(pixels, color_type, depth, interlaced=False, before=b""):
    height, width = pixels.shape[:2]
    if interlaced:
        passes = [pixels[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        data = b"".join(scanlines(part, depth) for part in passes if part.size)
    else:
        data = scanlines(pixels, depth)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before
            + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6


def palette(count):
    return chunk(b"PLTE", RANDOM.randint(0, 256, count * 3).astype("u1").tobytes())


def exif(orientation, big=False):
    order = ">" if big else "<"
    return ((b"MM" if big else b"II") + struct.pack(order + "HI", 42, 8)
            + struct.pack(order + "HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0))


def make_pngs():
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    transparent = chunk(b"tRNS", bytes([0, 128, 255, 17]))
    with_alpha = picture(19, 26, 4)
    with_alpha[:9, :, 3] = 0
    with_alpha[9:14, :, 3] = 255
    images = {
        "grey1": png(picture(27, 18, 1, 1), GREY, 1, before=gamma),
        "grey2": png(picture(18, 25, 1, 3), GREY, 2),
        "grey4_interlaced": png(picture(21, 17, 1, 15), GREY, 4, True),
        "grey8": png(picture(25, 16, 1), GREY, 8, before=gamma + chunk(b"tRNS", b"\0\x80")),
        "grey16": png(picture(17, 15, 1, 400), GREY, 16),
        "grey16_interlaced": png(picture(13, 19, 1, 65535), GREY, 16, True),
        "grey_alpha8": png(with_alpha[:, :, 2:], GREY_ALPHA, 8),
        "grey_alpha16": png(with_alpha[:, :, 2:] * 257, GREY_ALPHA, 16),
        "palette1": png(picture(15, 20, 1, 1), PALETTE, 1, before=palette(2)),
        "palette4": png(picture(22, 15, 1, 15), PALETTE, 4, before=palette(16) + transparent),
        "palette8_interlaced": png(picture(14, 21, 1), PALETTE, 8, True, palette(256)),
        "palette8_short": png(picture(16, 13, 1), PALETTE, 8, before=palette(120)),
        "rgb8": png(picture(21, 26), RGB, 8, before=gamma + chunk(b"tRNS", bytes(6))),
        "rgb8_interlaced": png(picture(26, 14), RGB, 8, True),
        "rgb16": png(picture(15, 13, 3, 65535), RGB, 16, before=gamma),
        "rgb_alpha8": png(with_alpha, RGB_ALPHA, 8),
        "rgb_alpha16_interlaced": png(with_alpha[:, :17] * 257, RGB_ALPHA, 16, True),
        "exif6": png(picture(9, 14), RGB, 8, before=chunk(b"eXIf", exif(6, True))),
        "1x1": png(picture(1, 1), RGB, 8),
        "1x300": png(picture(1, 300), RGB, 8),
        "300x1": png(picture(300, 1, 1), GREY, 8),
        "9x9": png(picture(9, 9, 4), RGB_ALPHA, 8),
        "9x40": png(picture(9, 40, 4), RGB_ALPHA, 8),
        "12x9": png(picture(12, 9), RGB, 8),
    }
    for name, data in images.items():
        (HERE / f"{name}.png").write_bytes(data)


def make_jpegs_and_webps():
    def image(*size, mode="RGB"):
        channels = len(Image.new(mode, (1, 1)).getbands())
        return Image.fromarray(picture(*size, channels).astype("u1").squeeze(), mode)

    def save(name, source, **options):
        source.save(HERE / name, **options)

    save("420_odd.jpg", image(29, 17), quality=80, subsampling=2, optimize=True)
    save("444_progressive.jpg", image(17, 25), quality=85, subsampling=0, progressive=True)
    save("422_restart.jpg", image(27, 18), quality=60, subsampling=1, optimize=True)
    save("grey.jpg", image(26, 17, mode="L"), quality=75, optimize=True)
    save("cmyk.jpg", image(18, 27, mode="CMYK"), quality=70, optimize=True)
    for orientation in range(1, 9):
        save(f"exif{orientation}.jpg", image(11, 7), quality=50, optimize=True,
             exif=b"Exif\0\0" + exif(orientation, orientation % 2 == 0))
    save("lossy.webp", image(27, 22), quality=60)
    save("lossless.webp", image(19, 28), lossless=True)
    save("lossy_alpha.webp", image(24, 24, mode="RGBA"), quality=50)
    save("lossless_alpha.webp", image(16, 23, mode="RGBA"), lossless=True, exact=True)
    save("animated.webp", image(20, 15, mode="RGBA"), save_all=True, quality=50,
         append_images=[image(20, 15, mode="RGBA")])
    save("exif3.webp", image(17, 12), quality=50, exif=exif(3))


def openai(image, resize, filter_, size, target, fill):
    """torchvision's Resize, CenterCrop and then RGB; open_clip's longest and squash."""
    width, height = image.size
    if resize == "shortest":
        short = min(width, height)
        sides = (int(target * width / short), int(target * height / short))
    elif resize == "squash":
        sides = (target, target)
    elif resize == "longest":
        ratio = max(height / target, width / target)
        sides = tuple(max(1, round(side / ratio)) for side in (width, height))
    else:
        sides = (width, height)
    if sides != image.size:
        image = image.resize(sides, filter_)
    width, height = image.size
    if width < size or height < size:
        left, top = max(0, size - width) // 2, max(0, size - height) // 2
        color = fill if image.mode == "RGB" else 0
        padded = Image.new(image.mode, (max(width, size), max(height, size)), color)
        if image.mode == "P":
            padded.putpalette(image.getpalette())
        padded.paste(image, (left, top))
        image = padded
        width, height = image.size
    top = round((height - size) / 2.0)
    left = round((width - size) / 2.0)
    return image.crop((left, top, left + size, top + size)).convert("RGB")


def hugging_face(image, resize, filter_, size, target, fill):
    """CLIPImageProcessor: RGB first, crop at the floor, pad at the ceiling."""
    image = image.convert("RGB")
    width, height = image.size
    if resize == "shortest":
        short, long = min(width, height), max(width, height)
        longer = int(target * long / short)
        image = image.resize((target, longer) if width <= height else (longer, target), filter_)
    elif resize == "squash":
        image = image.resize((target, target), filter_)
    width, height = image.size
    out = Image.new("RGB", (size, size), fill)
    out.paste(image, (-((width - size) // 2), -((height - size) // 2)))
    return out


CASES = []
CROPS = []


def case(name, order="openai", resize="shortest", filter_=BICUBIC, size=SIZE, target=0, upright=0,
         fill=(0, 0, 0)):
    image = Image.open(HERE / name)
    image.load()
    if upright:
        image = ImageOps.exif_transpose(image)
    make = openai if order == "openai" else hugging_face
    crop = make(image, resize, filter_, size, target or size, fill)
    assert crop.size == (size, size) and crop.mode == "RGB"
    CASES.append(f"{name} {order} {resize} {filter_} {size} {target} {upright} {bytes(fill).hex()}\n")
    CROPS.append(crop.tobytes())


def make_cases():
    for path in sorted(HERE.iterdir()):
        name = path.name
        side = max(Image.open(path).size)
        if side < 50:
            case(name, "hf", "none", size=side)
        case(name, "openai")
        case(name, "hf")
        if not name.startswith("exif"):
            case(name, "openai", "squash")
            case(name, "openai", "longest")
        else:
            case(name, "hf", "none", size=side, upright=1)
            case(name, "openai", upright=1)
    for filter_ in (NEAREST, LANCZOS, BILINEAR, BOX, HAMMING):
        for name in ("rgb8.png", "rgb_alpha8.png", "grey16.png", "420_odd.jpg", "1x1.png"):
            case(name, "openai", filter_=filter_)
            case(name, "hf", filter_=filter_, size=14)
    for name in ("rgb8.png", "palette4.png", "rgb_alpha8.png", "cmyk.jpg", "12x9.png"):
        for order in ("openai", "hf"):
            case(name, order, target=12)
            case(name, order, target=7)
            case(name, order, "none")
            case(name, order, "none", size=22)
    for order in ("openai", "hf"):
        case("rgb8.png", order, "none", size=33, fill=(255, 128, 7))
    case("rgb8.png", "openai", "longest", fill=(255, 128, 7))


def main():
    HERE.mkdir(exist_ok=True)
    for old in HERE.iterdir():
        old.unlink()
    make_pngs()
    make_jpegs_and_webps()
    make_cases()
    (HERE / "cases.txt").write_text("".join(CASES))
    numpy.save(HERE / "crops.npy", numpy.frombuffer(b"".join(CROPS), "u1"))
    print(f"{len(CASES)} cases, {sum(path.stat().st_size for path in HERE.iterdir())} bytes")


if __name__ == "__main__":
    main()
