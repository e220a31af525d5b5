"""Decisions that a device, a farm or a microcontroller wrote into a file: what it is asked, and what it brought back.

Nobody attests them. They are judged by the same gates as what a target answers, the report says so, and no bundle is
made of them.
"""
