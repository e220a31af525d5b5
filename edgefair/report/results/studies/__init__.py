"""What the commands that carry out a study say; what it found is `results.study`."""

from edgefair.report.results.studies.carried_out import (
    FORESEEN_SCHEMA,
    RUN_SCHEMA,
    STUDIES_SCHEMA,
    Foreseen,
    Studies,
    StudyRun,
)

__all__ = ["FORESEEN_SCHEMA", "RUN_SCHEMA", "STUDIES_SCHEMA", "Foreseen", "Studies", "StudyRun"]
