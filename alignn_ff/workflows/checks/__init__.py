"""The parts of `alignn_ff.workflows.check`: each measures how far a calculator is from one claim of physics."""
