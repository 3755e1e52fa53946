"""The curves of a run as one PNG: losses above, accuracies below, over images seen."""

from PIL import Image, ImageDraw

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 240, 52, 26, 30
COLOURS = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (90, 90, 90))
GREY = (215, 215, 215)


def draw_panel(draw, top, title, series, right):
    """series: {name: [(images, value)]}"""
    values = [v for points in series.values() for _, v in points] or [1.0]
    high = max(values) * 1.05 or 1.0
    for k in range(5):
        y = top + HEIGHT - round(HEIGHT * k / 4)
        draw.line((LEFT, y, WIDTH - 16, y), fill=GREY)
        draw.text((6, y - 6), f"{high * k / 4:.2f}", fill=(60, 60, 60))
    draw.text((LEFT, top - 18), title, fill=(0, 0, 0))
    at = LEFT + 110
    for (name, points), colour in zip(series.items(), COLOURS):
        draw.text((at, top - 18), name, fill=colour)
        at += 20 + 7 * len(name)
        line = [(LEFT + (WIDTH - 16 - LEFT) * x / max(1, right), top + HEIGHT - HEIGHT * v / high)
                for x, v in points]
        if len(line) > 1:
            draw.line(line, fill=colour, width=2)
        for x, y in line if len(line) < 60 else []:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)


def draw_curves(path, losses, accuracies):
    right = max((x for s in (losses, accuracies) for p in s.values() for x, _ in p), default=1)
    image = Image.new("RGB", (WIDTH, 2 * (HEIGHT + TOP) + GAP + 24), "white")
    draw = ImageDraw.Draw(image)
    draw_panel(draw, TOP, "training loss", losses, right)
    draw_panel(draw, TOP + HEIGHT + GAP + TOP, "held out", accuracies, right)
    draw.text((LEFT, image.height - 16), f"0 to {right:,} images", fill=(60, 60, 60))
    image.quantize(16).save(path, optimize=True)
