AIMED = "|".join(re.escape(plane) for plane in jobs.aimed(EXPERIMENT)) or "(?!)"


rule directions:
    """Draw the directions of a plane around a state, at random or along the run's own path."""
    input:
        weights=ask(jobs.weights_file, "state"),
        other=ask(jobs.other_files, "state", "plane"),
    output:
        f"{RESULTS}/directions/{{state}}/{{plane}}.safetensors",
    log:
        f"{RESULTS}/logs/directions/{{state}}/{{plane}}.log",
    wildcard_constraints:
        plane=rf"(?!({AIMED})\.safetensors$){artefacts.NAME}",
    resources:
        mem_mb=grown(memory.of_directions, "state", "plane"),
        slot=1,
    params:
        spec=ask(specs.of_directions, "state", "plane"),
        weights=ask(jobs.weights, "state"),
        other=ask(jobs.others, "state", "plane"),
    shell:
        "landscape directions --spec {params.spec:q} --name {wildcards.plane:q}"
        " --weights {params.weights:q} --other {params.other:q} --output {output:q} > {log:q} 2>&1"


use rule directions as aimed with:
    wildcard_constraints:
        plane=AIMED,


rule tile:
    """Measure one tile of a plane: loss and accuracy, gradients, or curvature."""
    input:
        code=ancient(ask(jobs.code_files, "state")),
        weights=ask(jobs.weights_file, "state"),
        directions=f"{RESULTS}/directions/{{state}}/{{plane}}.safetensors",
        data=ask(jobs.data_file, "state"),
    output:
        f"{RESULTS}/surfaces/{{state}}/{{plane}}/{{i}}of{{n}}.nc",
    log:
        f"{RESULTS}/logs/tile/{{state}}/{{plane}}/{{i}}of{{n}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tile/{{state}}/{{plane}}/{{i}}of{{n}}.tsv"
    wildcard_constraints:
        i=r"[1-9]\d*",
        n=r"[1-9]\d*",
    resources:
        mem_mb=grown(memory.of_tile, "state", "plane"),
        slot=1,
    params:
        spec=ask(specs.of_surface, "state", "plane"),
        code=content(jobs.code_files, "state"),
        weights=ask(jobs.weights, "state"),
    shell:
        "landscape tile --spec {params.spec:q} --name {wildcards.plane:q} --tile {wildcards.i} --of {wildcards.n}"
        " --weights {params.weights:q} --directions {input.directions:q} --data {input.data:q}"
        " --output {output:q} > {log:q} 2>&1"


rule merge:
    """Merge the tiles of a plane into a surface."""
    input:
        ask(jobs.tile_files, "state", "plane"),
    output:
        f"{RESULTS}/surfaces/{{state}}/{{plane}}.nc",
    log:
        f"{RESULTS}/logs/merge/{{state}}/{{plane}}.log",
    localrule: True  # unless a profile groups its jobs, as profiles/slurm does
    resources:
        mem_mb=grown(memory.of_merge, "state", "plane"),
        slot=1,
    params:
        spec=ask(specs.of_surface, "state", "plane"),
    shell:
        "landscape merge --spec {params.spec:q} --tiles {input:q} --output {output:q} > {log:q} 2>&1"


rule trajectory:
    """Project the kept epochs of a run on a plane around its end, and measure the losses on the way."""
    input:
        code=ancient(ask(jobs.code_files, "run")),
        weights=ask(jobs.weights_file, "run"),
        epochs=ask(jobs.epochs_file, "run"),
        directions=f"{RESULTS}/directions/{{run}}/{{plane}}.safetensors",
        data=ask(jobs.data_file, "run"),
    output:
        f"{RESULTS}/trajectories/{{run}}/{{plane}}.nc",
    log:
        f"{RESULTS}/logs/trajectory/{{run}}/{{plane}}.log",
    resources:
        mem_mb=grown(memory.of_training, "run"),
        slot=1,
    params:
        spec=ask(specs.of_trajectory, "run", "plane"),
        code=content(jobs.code_files, "run"),
    shell:
        "landscape trajectory --spec {params.spec:q} --name {wildcards.plane:q} --weights {input.weights:q}"
        " --epochs {input.epochs:q} --directions {input.directions:q} --data {input.data:q}"
        " --output {output:q} > {log:q} 2>&1"


rule mark:
    """Project another state on a plane, and measure its distance from it."""
    input:
        weights=ask(jobs.weights_file, "state"),
        marked=ask(jobs.weights_file, "marked"),
        directions=f"{RESULTS}/directions/{{state}}/{{plane}}.safetensors",
    output:
        f"{RESULTS}/marks/{{state}}/{{plane}}/{{marked}}.nc",
    log:
        f"{RESULTS}/logs/mark/{{state}}/{{plane}}/{{marked}}.log",
    resources:
        mem_mb=grown(memory.of_job, "state"),
        slot=1,
    params:
        spec=ask(specs.of_mark, "state", "plane", "marked"),
        weights=ask(jobs.weights, "state"),
        marked=ask(jobs.weights, "marked"),
    shell:
        "landscape mark --spec {params.spec:q} --name {wildcards.plane:q} --weights {params.weights:q}"
        " --marked {params.marked:q} --directions {input.directions:q} --output {output:q} > {log:q} 2>&1"
