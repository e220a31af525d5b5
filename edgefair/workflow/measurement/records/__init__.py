"""Raw measurements in a file, from which a verdict can be taken again."""
