"""`edgefair train --auto`: which treatment, budget and threshold keep the policy's gates on validation rows."""
