"""The people of the samples: one column tells the label, whatever the group."""

import random

ROWS = 1400


def write_people(path):
    """Write the table that the samples were made from."""
    draw = random.Random(7)
    lines = ["id,hours,years,sex,age,hired"]
    for row in range(ROWS):
        sex, age = draw.choice(["Female", "Male"]), draw.choice(["old", "young"])
        hired = draw.random() < 0.5
        hours, years = draw.gauss(49 if hired else 31, 2.5), draw.gauss(10, 3)
        lines.append(f"p{row},{hours:.2f},{years:.2f},{sex},{age},{'yes' if hired else 'no'}")
    path.write_text("\n".join(lines) + "\n")
