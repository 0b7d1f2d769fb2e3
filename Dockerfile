# The page of app.py on a CPU: docker build -t try-on . && docker run --rm -p 127.0.0.1:7860:7860 try-on
FROM python:3.12-slim

# What OpenCV's wheel links to, and the compiler that builds the fast kernels for the processor at the first start.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 g++ \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 visitor
WORKDIR /home/visitor/app

# PyTorch without CUDA, which would be gigabytes that a CPU has no use for, and no library for video files; before the rest, so that nothing replaces it.
COPY requirements.txt requirements-app.txt ./
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch torchvision \
    && cat requirements.txt requirements-app.txt | grep -vE '^(cupy|av)' > /tmp/requirements.txt \
    && pip install --no-cache-dir -r /tmp/requirements.txt \
    && rm /tmp/requirements.txt

COPY app.py LICENSE ./
COPY data ./data
COPY engine ./engine
COPY models ./models
COPY opt ./opt
COPY photo ./photo
COPY runtime ./runtime
COPY synthetic ./synthetic
COPY utils ./utils
COPY webapp ./webapp
COPY checkpoints ./checkpoints

USER visitor
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 GRADIO_ANALYTICS_ENABLED=False
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"]
# Further options go behind the image's name, for example --backend torch.
ENTRYPOINT ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]
